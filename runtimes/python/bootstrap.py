"""Starts Samovar's Python runtime client. The client is a module of its own so that it comes from compiled code."""

import _samovar_client

if __name__ == "__main__":
    _samovar_client.wait()
    _samovar_client.main()
