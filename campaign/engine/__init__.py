"""The running campaign: claim before send, settle after, doubt until proved.

Law: one duty, one task, one file. Tasks read facts from the store, let the planner decide, act
through the gateway and write down what they learned. Nothing true lives only in memory: whatever
this room keeps between two commits can be thrown away and rebuilt by `recover`.
"""
