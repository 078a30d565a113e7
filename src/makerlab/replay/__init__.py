"""Policies on recorded order books: hftbacktest decides what happens to their orders."""
