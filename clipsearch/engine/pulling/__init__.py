"""How a published model comes here: named, fetched, checked, described, run once, and only then there.

    catalogue   published models, what each is worth, and where it lies
    sources     a hub's repository (hub) or a folder, as files with digests
    layouts     which files make a model
    published   what its settings say, in the words of our card
    activation  which activation a graph was exported with
    pull        all of it, in steps

`hub` alone reaches the network.
"""
