"""The running program: wires environment, store, receiver, engine and HTTP faces together.

Law: owns processes, locks, sockets and the order in which things start and die; knows nothing of
recipients, tasks or messages. Who must die last is opened first.
"""
