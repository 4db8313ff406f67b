"""What devices push to us, over HTTP.

Law: authenticate, bound, commit the raw body to the inbox, answer. Nothing is decoded, judged or
applied here: a 200 means exactly "this body is on disk", and folding it is somebody else's duty.
"""
