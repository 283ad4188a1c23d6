"""What every screen and every file that leaves must say of this program."""

RESEARCH_USE = "Research use only. Not for diagnosis or treatment."
