"""Who is believed, how far, and why: of those who post, who report, and who review what they bought."""
