"""Recipient lists: files in, clean rows and reasoned refusals out.

Law: reads in constant memory, never guesses silently, loses no row: each is either a number in
international digits or a refusal with its line and reason. It knows no store and no campaign.
"""
