"""Reports as HTML: one file each that opens anywhere, made by the templates in resources/report."""
