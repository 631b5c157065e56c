"""Starts Samovar's Python runtime client. The client is a module of its own so that it comes from compiled code."""

import os

import _samovar_client

if __name__ == "__main__":
    if "_SAMOVAR_WAIT" in os.environ:
        import _samovar_waiting

        _samovar_waiting.wait()
    _samovar_client.main()
