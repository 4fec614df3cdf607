"""Logged traffic of others as page views: one file for each format."""
