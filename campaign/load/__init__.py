"""The load engine: what a gateway can take, and whether its reports keep up.

Law: the arrival schedule is fixed before the first byte and never waits for an answer; a latency
counts from the intended time. Every intended request ends as exactly one of answered, an error of a
named kind, or dropped. What the generator itself could not keep up with makes a run invalid, never
good. Schedules, histograms, thresholds and the search for the limit are pure; only this room may
use httptools. Time and randomness come from `campaign.env` alone.
"""
