"""Stands in for the resolver of the host's network: it knows no name, and says so at once."""

import socket

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
    listening.bind(("127.0.0.1", 53))
    while True:
        question, asker = listening.recvfrom(512)
        answered = question[:2] + b"\x81\x83" + question[4:6] + bytes(6) + question[12:]
        listening.sendto(answered, asker)
