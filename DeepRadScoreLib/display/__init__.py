"""Progress bars and tables, in a terminal or a notebook."""
