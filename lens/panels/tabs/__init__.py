"""The panels, one file each: a module here with a `PANEL` is a panel."""
