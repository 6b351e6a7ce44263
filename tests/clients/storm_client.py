#!/usr/bin/env python3
"""Many official clients at once, before servers of which some fail: prints what became of each call.

OpenAI's and Anthropic's clients, each on a thread of its own, ask for whole and streamed answers of the scripted model,
some of them long. A call is `whole` where its text and its end are what the script says, `failed` where the client
library raised an error, and `wrong` otherwise. Each call carries a trace id of its own, by which a proxy's line is found.

Usage: storm_client.py BASE_URL [--calls N] [--model NAME]
BASE_URL has no path: `http://127.0.0.1:11435`. Each of the clients makes N calls.
"""

import argparse
import itertools
import json
import random
import sys
import threading

import anthropic
import httpx
import httpx2
import openai

PLAIN = "Once upon a time, in the quiet hum of racks there lived one proxy that listened."
CLOCK = [" tick", " tock", " ding", " dong"]
LONG = 120
"""Tokens of a long answer."""
PATIENCE = 60
"""Seconds that a call may take between two events."""
# The libraries leave what breaks off amid a stream to the transport's own errors.
ERRORS = (openai.APIError, anthropic.APIError, httpx.TransportError, httpx2.TransportError)
OPENAI_CLIENTS, ANTHROPIC_CLIENTS = 4, 2

ids = itertools.count(1)


class Call:
    """One call and what its client saw of it. `None` is unknown."""

    def __init__(self, route):
        self.route = route
        self.trace = f"{next(ids):032x}"
        self.ended, self.error, self.text = "wrong", None, ""
        self.prompt_tokens = self.generated_tokens = self.cached_tokens = self.finish_reason = None

    def headers(self):
        """The field that says which trace the call belongs to."""
        return {"traceparent": f"00-{self.trace}-00f067aa0ba902b7-01"}

    def read_openai(self, usage):
        """Takes over the usage of an OpenAI answer, where it comes."""
        if usage is not None:
            self.prompt_tokens, self.generated_tokens = usage.prompt_tokens, usage.completion_tokens
            self.cached_tokens = getattr(usage.prompt_tokens_details, "cached_tokens", None)

    def read_anthropic(self, usage):
        """Takes over the usage of a message, which counts what was cached apart."""
        self.cached_tokens = usage.cache_read_input_tokens or 0
        self.prompt_tokens = usage.input_tokens + self.cached_tokens
        self.generated_tokens = usage.output_tokens

    def judge(self, marker):
        """Says whether the answer is what the script says, but for the blank that chats take from its beginning."""
        length = self.finish_reason in ("length", "max_tokens")
        expected = "".join(itertools.islice(itertools.cycle(CLOCK), LONG)) if marker == "clock" else PLAIN
        is_whole = self.text.lstrip() == expected.lstrip() and length == (marker == "clock") and self.finish_reason is not None
        self.ended = "whole" if is_whole else "wrong"

    def report(self):
        """The call as one JSON object."""
        return vars(self)


def prompt(marker, chance):
    """A prompt that has much in common with others."""
    return f"Hello there {'and there ' * chance.randrange(6)}number {chance.randrange(4)} [[{marker}]]"


def ask_openai(client, model, chance, call, marker):
    """One call of OpenAI's client."""
    more = {"max_tokens": LONG if marker == "clock" else 40, "extra_headers": call.headers()}
    if call.route == "/v1/completions":
        events = client.completions.create(model=model, prompt=prompt(marker, chance), stream=True,
                                           stream_options={"include_usage": True}, **more)
        for event in events:
            for choice in event.choices:
                call.text += choice.text or ""
                call.finish_reason = choice.finish_reason or call.finish_reason
            call.read_openai(event.usage)
        return
    more["messages"] = [{"role": "user", "content": prompt(marker, chance)}]
    if chance.random() < 0.3:
        answer = client.chat.completions.create(model=model, **more)
        call.text, call.finish_reason = answer.choices[0].message.content, answer.choices[0].finish_reason
        call.read_openai(answer.usage)
        return
    events = client.chat.completions.create(model=model, stream=True, stream_options={"include_usage": True}, **more)
    for event in events:
        for choice in event.choices:
            call.text += choice.delta.content or ""
            call.finish_reason = choice.finish_reason or call.finish_reason
        call.read_openai(event.usage)


def ask_anthropic(client, model, chance, call, marker):
    """One call of Anthropic's client."""
    request = {"model": model, "max_tokens": LONG if marker == "clock" else 40, "extra_headers": call.headers(),
               "messages": [{"role": "user", "content": prompt(marker, chance)}]}
    if chance.random() < 0.3:
        message = client.messages.create(**request)
    else:
        with client.messages.stream(**request) as stream:
            for event in stream:
                if event.type == "message_start":
                    # A stream that breaks off has stated its prompt.
                    call.cached_tokens = event.message.usage.cache_read_input_tokens
            message = stream.get_final_message()
    call.text = "".join(block.text for block in message.content if block.type == "text")
    call.finish_reason = message.stop_reason
    call.read_anthropic(message.usage)


def storm(number, address, chosen, calls):
    """All calls of one client."""
    chance = random.Random(number)
    # A retry would be a request that nobody counts.
    options = {"api_key": "none", "max_retries": 0, "timeout": PATIENCE}
    if number < OPENAI_CLIENTS:
        client, ask = openai.OpenAI(base_url=f"{address}/v1", **options), ask_openai
    else:
        client, ask = anthropic.Anthropic(base_url=address, **options), ask_anthropic
    for _ in range(chosen.calls):
        marker = "clock" if chance.random() < 0.4 else "plain"
        route = "/v1/messages"
        if ask is ask_openai:
            route = chance.choice(["/v1/chat/completions", "/v1/completions"])
        call = Call(route)
        calls.append(call)
        try:
            ask(client, chosen.model, chance, call, marker)
            call.judge(marker)
        except ERRORS as error:
            call.ended, call.error = "failed", f"{type(error).__name__}: {error}"
        except Exception as error:  # No honest failure: the call stays wrong, and says why.
            call.error = f"{type(error).__name__}: {error}"


def main():
    """Makes the calls and prints what became of them."""
    parser = argparse.ArgumentParser(description="Official clients at once, counting for themselves.")
    parser.add_argument("base_url")
    parser.add_argument("--calls", type=int, default=12, metavar="N", help="calls of each client")
    parser.add_argument("--model", default="script")
    chosen = parser.parse_args()

    calls, address = [], chosen.base_url.rstrip("/")
    numbers = range(OPENAI_CLIENTS + ANTHROPIC_CLIENTS)
    threads = [threading.Thread(target=storm, args=(number, address, chosen, calls)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    json.dump({"calls": [call.report() for call in calls]}, sys.stdout)


if __name__ == "__main__":
    main()
