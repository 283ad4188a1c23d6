"""Journeys: what a person does, through the real window with mouse and keys, drawn where nobody sees it."""
