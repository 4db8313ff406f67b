"""The load engine: what a gateway can take, and whether its reports keep up.

Law: arrivals are fixed in advance and latency counts from the intended time, so a target that
stalls cannot slow down who measures it; where the answers set the pace instead, every figure says
so. Every intended request ends as exactly one of answered, an error of a named kind, or dropped.
Whatever was late, lost or beyond what can be recorded is counted and told; what the generator
itself could not keep up with makes a run invalid, never good. Plans (schedule, histogram,
thresholds, knee) are pure; time and randomness come from `Env` or are passed in. This room speaks
HTTP by itself (httptools is nowhere else) and reads the device's protocol and our receiver's inbox;
it never knows the engine, the service or the command line.
"""
