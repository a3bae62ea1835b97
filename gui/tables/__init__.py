"""Tables of figures: one model, one delegate and one widget for every view that shows some."""
