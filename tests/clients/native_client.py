#!/usr/bin/env python3
"""Drives llama.cpp's own routes and prints what a client counts by itself.

No official client has these routes: the official OpenAI client sends them as they are, with its own connections and its
own reading of server-sent events. Completion and infill, whole and streamed, lists of prompts, a limit, characters of
several tokens, and streams that the client leaves. The prompts carry the scripted model's markers.

Usage: native_client.py BASE_URL [--only CASE ...]
BASE_URL has no path: `http://127.0.0.1:11435`.
"""

import argparse

import openai

from tally import CANCEL_AFTER, Tally


class Driver:
    """The client and the tally of its calls."""

    def __init__(self, base_url):
        # A retry would be a second request behind the tally's back.
        self.client = openai.OpenAI(base_url=base_url.rstrip("/"), api_key="none", max_retries=0, timeout=30)
        self.tally = Tally(f"openai {openai.__version__}, raw")

    def whole(self, case, path, **request):
        """An answer in one piece; a list of prompts is answered by a list."""
        with self.tally.call("text_completion", case, streamed=False) as call:
            answers = self.client.post(path, body=request, cast_to=object)
            for answer in answers if isinstance(answers, list) else [answers]:
                read_last(call, answer)
                call.text += answer["content"]

    def stream(self, case, path, leave=False, **request):
        """An answer event by event; `leave` hangs up in the middle, and then the last running count is what is known."""
        running = {}
        with self.tally.call("text_completion", case, streamed=True) as call:
            with self.client.post(
                path, body={**request, "stream": True}, cast_to=object, stream=True, stream_cls=openai.Stream[object]
            ) as stream:
                # Each prompt of a list begins with a null.
                for event in filter(None, stream):
                    if event["content"]:
                        call.chunk()
                        call.text += event["content"]
                    running[event["index"]] = (event["tokens_evaluated"], event["tokens_predicted"])
                    if event["stop"]:
                        read_last(call, event)
                    if leave and call.content_chunks >= CANCEL_AFTER:
                        call.outcome = "cancelled"
                        call.usage(*map(sum, zip(*running.values())))
                        break


def read_last(call, answer):
    """Takes over an answer that is over, one of several where there are several."""
    call.add_usage(answer["tokens_evaluated"], answer["tokens_predicted"], own_prompt=True)
    call.finish_reason = answer["stop_type"]


def prompts(*markers):
    """One prompt for each marker; a single one is no list."""
    made = [f"x [[{marker}]]" for marker in markers]
    return made if len(made) > 1 else made[0]


def cases(driver):
    """The calls by name, in the order in which they are made."""
    infill = {"input_prefix": "def once():", "input_suffix": "return", "n_predict": 40}
    return {
        "native_whole": lambda case: driver.whole(case, "/completion", prompt=prompts("plain")),
        "native_stream": lambda case: driver.stream(case, "/completion", prompt=prompts("plain")),
        "native_alias": lambda case: driver.stream(case, "/completions", prompt=prompts("plain")),
        "native_emoji": lambda case: driver.stream(case, "/completion", prompt=prompts("emoji")),
        "native_silent": lambda case: driver.stream(case, "/completion", prompt=prompts("silent")),
        "native_length": lambda case: driver.stream(case, "/completion", prompt=prompts("clock"), n_predict=7),
        "native_timed": lambda case: driver.stream(
            case, "/completion", prompt=prompts("plain"), timings_per_token=True, return_progress=True),
        "native_list_whole": lambda case: driver.whole(case, "/completion", prompt=prompts("plain", "think")),
        # More prompts than the server answers at a time: the last begins when another has ended.
        "native_list": lambda case: driver.stream(case, "/completion", prompt=prompts("plain", "think", "emoji")),
        "native_cancelled": lambda case: driver.stream(case, "/completion", leave=True, prompt=prompts("clock")),
        "native_list_cancelled": lambda case: driver.stream(
            case, "/completion", leave=True, prompt=prompts("silent", "silent", "clock")),
        "infill_whole": lambda case: driver.whole(case, "/infill", **infill),
        "infill_stream": lambda case: driver.stream(case, "/infill", **infill),
    }


def main():
    """Makes the calls and prints the tally."""
    parser = argparse.ArgumentParser(description="llama.cpp's own routes, counted by their client.")
    parser.add_argument("base_url")
    parser.add_argument("--only", nargs="+", metavar="CASE", help="make these calls alone")
    chosen = parser.parse_args()

    driver = Driver(chosen.base_url)
    made = cases(driver)
    for case in chosen.only or made:
        made[case](case)
    driver.tally.print()


if __name__ == "__main__":
    main()
