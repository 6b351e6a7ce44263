#!/usr/bin/env python3
"""Drives the official Anthropic client against a base URL and prints what the client itself counted.

One call after the other: messages whole and streamed, thinking, a tool call, a limit, characters of several tokens, an
answer without text, and one stream that the client leaves. The prompts carry the scripted model's markers.

Usage: anthropic_client.py BASE_URL [--model NAME] [--only CASE ...]
BASE_URL has no path: `http://127.0.0.1:11435`.
"""

import argparse

import anthropic

from tally import CANCEL_AFTER, WEATHER, Tally

TOOL = {
    "name": WEATHER["function"]["name"],
    "description": WEATHER["function"]["description"],
    "input_schema": WEATHER["function"]["parameters"],
}
"""The tool as Anthropic's API wants it."""


class Driver:
    """The client, the model's name and the tally of its calls."""

    def __init__(self, base_url, model):
        # A retry would be a second request behind the tally's back.
        self.client = anthropic.Anthropic(base_url=base_url.rstrip("/"), api_key="none", max_retries=0, timeout=30)
        self.tally = Tally(f"anthropic {anthropic.__version__}")
        self.model = model

    def request(self, marker, max_tokens=200, **more):
        """What every call asks for."""
        messages = [{"role": "user", "content": f"Hello there [[{marker}]]"}]
        return {"model": self.model, "max_tokens": max_tokens, "messages": messages, **more}

    def whole(self, case, marker, **more):
        """A message in one piece."""
        with self.tally.call("chat", case, streamed=False) as call:
            read_message(call, self.client.messages.create(**self.request(marker, **more)))

    def stream(self, case, marker, leave=False, **more):
        """A message event by event, put together by the client; `leave` hangs up in the middle."""
        with self.tally.call("chat", case, streamed=True) as call:
            with self.client.messages.stream(**self.request(marker, **more)) as stream:
                for event in stream:
                    if event.type == "content_block_delta":
                        call.chunk()
                    if leave and call.content_chunks >= CANCEL_AFTER:
                        call.outcome = "cancelled"
                        return
                read_message(call, stream.get_final_message())


def read_message(call, message):
    """Takes over a message that is over. What was read from a cache belongs to the prompt."""
    call.text = "".join(block.text for block in message.content if block.type == "text")
    call.thinking = "".join(block.thinking for block in message.content if block.type == "thinking")
    call.tool_calls = sum(block.type == "tool_use" for block in message.content)
    call.finish_reason = message.stop_reason
    usage = message.usage
    cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    call.usage(usage.input_tokens + cached, usage.output_tokens)


def cases(driver):
    """The calls by name, in the order in which they are made."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    return {
        "message_whole": lambda case: driver.whole(case, "plain"),
        "message_stream": lambda case: driver.stream(case, "plain"),
        "message_length": lambda case: driver.stream(case, "clock", max_tokens=7),
        "message_think_whole": lambda case: driver.whole(case, "think", max_tokens=2000, thinking=thinking),
        "message_think_stream": lambda case: driver.stream(case, "think", max_tokens=2000, thinking=thinking),
        "message_tool_whole": lambda case: driver.whole(case, "tool", tools=[TOOL]),
        "message_tool_stream": lambda case: driver.stream(case, "tool", tools=[TOOL]),
        "message_emoji_stream": lambda case: driver.stream(case, "emoji"),
        "message_silent_stream": lambda case: driver.stream(case, "silent"),
        "message_cancelled": lambda case: driver.stream(case, "clock", leave=True, max_tokens=4000),
    }


def main():
    """Makes the calls and prints the tally."""
    parser = argparse.ArgumentParser(description="The official Anthropic client, counting for itself.")
    parser.add_argument("base_url")
    parser.add_argument("--model", default="script")
    parser.add_argument("--only", nargs="+", metavar="CASE", help="make these calls alone")
    chosen = parser.parse_args()

    driver = Driver(chosen.base_url, chosen.model)
    made = cases(driver)
    for case in chosen.only or made:
        made[case](case)
    driver.tally.print()


if __name__ == "__main__":
    main()
