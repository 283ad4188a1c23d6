"""Bodies of child processes that answer what they should not; imports as little as it can, it is started often."""

import json
import os
import random
import time

ARRAY = {"name": "voxels", "shape": [2, 3], "dtype": "<i2"}


def say(connection, message):
    connection.send_bytes(json.dumps(message).encode())


def announce(connection, **odd):
    say(connection, {"result": {}, "arrays": [ARRAY | odd]})


def speak(connection, kind):
    """Say something of this kind, then nothing more."""
    if kind in _WORDS:
        for word in _WORDS[kind]:
            say(connection, word) if isinstance(word, dict | list | int) else connection.send_bytes(word)
    elif kind == "flood":
        while True:
            say(connection, {"progress": [1, 2]})
    elif kind == "half a message":
        os.write(connection.fileno(), (1000).to_bytes(4, "big") + b"{")
    elif kind == "a length of 2 GB":
        os.write(connection.fileno(), (0x7FFFFFFF).to_bytes(4, "big") + b"{" * 1000)
    elif kind == "exit":
        os._exit(3)
    elif kind == "crash":
        os.abort()
    time.sleep(60)


_WORDS = {
    "nothing": [],
    "garbage": [bytes(range(256))],
    "a pickle": [b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94."],
    "a list": [[1, 2]],
    "a nest": [b"[" * 100_000 + b"]" * 100_000],
    "another word": [{"hello": 1}],
    "odd progress": [{"progress": ["a", {}]}],
    "no arrays": [{"result": {}}],
    "a negative shape": [{"result": {}, "arrays": [ARRAY | {"shape": [-2, -3]}]}],
    "a shape of words": [{"result": {}, "arrays": [ARRAY | {"shape": ["2", 3]}]}],
    "a shape of fractions": [{"result": {}, "arrays": [ARRAY | {"shape": [2.0, 3]}]}],
    "a huge shape": [{"result": {}, "arrays": [ARRAY | {"shape": [1 << 40, 1 << 40]}]}],
    "objects": [{"result": {}, "arrays": [ARRAY | {"dtype": "|O"}]}],
    "no type": [{"result": {}, "arrays": [ARRAY | {"dtype": "nothing"}]}],
    "records": [{"result": {}, "arrays": [ARRAY | {"dtype": "i4,f8"}]}],
    "many arrays": [{"result": {}, "arrays": [ARRAY | {"name": str(i)} for i in range(100)]}],
    "too early": [{"result": {}, "arrays": [ARRAY]}, {"filled": True}],
    "a piece without arrays": [{"piece": 2, "of": 0, "at": 0}],
    "a piece too long": [{"result": {}, "arrays": [ARRAY]}, {"piece": 13, "of": 0, "at": 0}],
    "a piece beside": [{"result": {}, "arrays": [ARRAY]}, {"piece": 4, "of": 0, "at": 10}],
    "a piece before": [{"result": {}, "arrays": [ARRAY]}, {"piece": 4, "of": 0, "at": -4}],
    "a piece of none": [{"result": {}, "arrays": [ARRAY]}, {"piece": 4, "of": 1, "at": 0}],
    "half a piece": [{"result": {}, "arrays": [ARRAY]}, {"piece": 12, "of": 0, "at": 0}],
    "two results": [{"result": {}, "arrays": [ARRAY]}, {"result": {}, "arrays": [ARRAY]}],
    "half an error": [{"error": {"kind": "user"}}],
    "odd choices": [{"error": {"kind": "several", "message": "", "hint": "", "choices": [1, 2]}}],
}
SILENT = ("nothing", "half a message", "half a piece")
KINDS = (*_WORDS, "flood", "half a message", "a length of 2 GB", "exit", "crash")


def babble(connection, seed):
    """For each message received: one made at random of the words of the protocol, then an orderly refusal."""
    rng = random.Random(seed)
    words = ["result", "arrays", "error", "progress", "piece", "of", "at", "filled", "kind", "shape", "dtype", "name"]

    def value(depth):
        kind = rng.randrange(7 if depth < 3 else 5)
        if kind == 5:
            return [value(depth + 1) for _ in range(rng.randrange(4))]
        if kind == 6:
            return {rng.choice(words): value(depth + 1) for _ in range(rng.randrange(4))}
        return (rng.choice([0, -1, 3, 1 << 62, -(1 << 70)]), rng.choice(words), None, rng.random() * 1e300, True)[kind]

    while True:
        connection.recv_bytes()
        message = {"arrays": [value(2) for _ in range(rng.randrange(3))]} if rng.random() < 0.5 else {}
        message |= {rng.choice(words): value(0) for _ in range(rng.randrange(1, 4))}
        say(connection, message)
        say(connection, {"error": {"kind": "user", "message": "the end", "hint": ""}})
