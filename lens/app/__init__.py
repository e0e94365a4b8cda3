"""The command line, and the page that Voilà serves."""
