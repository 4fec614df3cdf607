"""OpenRTB 2.6 in and out: requests become page views, answers become bid responses."""
