"""Recommends six of 45 numbers, as a small API would."""

import json
import secrets

PICKS = 6
HIGHEST = 45


def handler(event, context):
    dice = secrets.SystemRandom()
    games = max(1, min(int(event.get("games", 1)), 10))
    numbers = [sorted(dice.sample(range(1, HIGHEST + 1), PICKS)) for _ in range(games)]
    print(f"recommended {games} game(s), {context.get_remaining_time_in_millis()} ms left")
    return {"statusCode": 200, "body": json.dumps({"numbers": numbers})}
