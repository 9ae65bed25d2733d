"""The warm service: one process that keeps a library and its text model open, and answers through JSON over HTTP.

    cli -> client -> (service.json says where) -> Unix socket or loopback port -> server -> handler -> worker -> Library

`client`, `record` and `wire` are light: a command that the service answers imports no numpy, no library, no model.
docs/service.md describes the requests.
"""
