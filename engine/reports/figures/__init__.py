"""Figures, each the same in a file and in a window: it is drawn into what it is given, in the colours it is given."""
