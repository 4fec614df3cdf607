"""What the click model looks at: one file per family of features, the list of them all in columns.py."""
