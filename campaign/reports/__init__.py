"""Delivery reports: ledger to rows to bytes.

Law: reads the store and formats; never changes a fact. Every export is safe to open in a
spreadsheet (no cell of a stranger's text is ever a formula) and every page is escaped.
"""
