"""The load engine: what a gateway can take, and whether its reports keep up.

Law: arrivals are fixed in advance and latency counts from the intended time, so a target that
stalls cannot slow down who measures it; where the answers set the pace instead, every figure says
so. Whatever was late, dropped, lost or beyond what can be recorded is counted and told. Plans
(schedule, histogram, thresholds, knee) are pure; time and randomness come from `Env` or are passed
in. This room speaks HTTP by itself (httptools is nowhere else) and reads the device's protocol and
our receiver's inbox; it never knows the engine, the service or the command line.
"""
