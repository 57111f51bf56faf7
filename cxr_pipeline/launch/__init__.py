"""Runs a job folder somewhere and streams its events back. What the job does does not live here."""
