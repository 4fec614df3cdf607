"""What all packages speak: money, time, ids, consent and errors. Standard library only."""
