"""The submodules of LBNL's consist that its users import from, with names of this library. No logic.

`consist_es.install_as` gives them their old names. Stand-ins raise when they are used.
"""
