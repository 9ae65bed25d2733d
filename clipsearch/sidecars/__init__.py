"""Labels as keywords in XMP sidecars: small files beside a photo, for programs that read them. Never the photo itself.

packet    keywords in and out of one packet, all other bytes as they were
beside    which sidecar is a photo's, what would be done to it, and doing it
"""
