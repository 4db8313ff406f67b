"""HTTP out to one device.

Law: one client per device; every answer is typed by what we know (accepted, refused, not sent, in
doubt); foreign errors end here. It neither decides what to send nor writes anything down.
"""
