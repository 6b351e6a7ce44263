#!/usr/bin/env python3
"""Drives the official Ollama client against a base URL and prints what the client itself counted.

One call after the other: chat, generate and embed, whole and streamed, thinking, a tool call, and one stream that the
client leaves. The prompts carry the scripted model's markers. Ollama reports usage with every answer that is read to
its end, so there is nothing to ask for.

Usage: ollama_client.py BASE_URL [--model NAME] [--embedding-model NAME] [--only CASE ...]
BASE_URL has no path: `http://127.0.0.1:11435`. `--embedding-model ''` leaves embeddings out.
"""

import argparse
from importlib.metadata import version

import ollama

from tally import CANCEL_AFTER, WEATHER, Tally


class Driver:
    """The client, the model's name and the tally of its calls."""

    def __init__(self, base_url, model):
        self.client = ollama.Client(host=base_url, timeout=30)
        self.tally = Tally(f"ollama {version('ollama')}")
        self.model = model

    def chat_whole(self, case, marker, **more):
        """A chat answered in one piece."""
        with self.tally.call("chat", case, streamed=False) as call:
            read_chat(call, self.client.chat(model=self.model, messages=messages(marker), **more))

    def chat_stream(self, case, marker, leave=False, **more):
        """A chat answered line by line; `leave` hangs up in the middle."""
        with self.tally.call("chat", case, streamed=True) as call:
            stream = self.client.chat(model=self.model, messages=messages(marker), stream=True, **more)
            for part in stream:
                if read_chat(call, part):
                    call.chunk()
                if leave and call.content_chunks >= CANCEL_AFTER:
                    call.outcome = "cancelled"
                    # Closing the generator closes the connection.
                    stream.close()
                    break

    def generate_whole(self, case, marker, **more):
        """A text completion in one piece."""
        with self.tally.call("text_completion", case, streamed=False) as call:
            read_generate(call, self.client.generate(model=self.model, prompt=f"x [[{marker}]]", **more))

    def generate_stream(self, case, marker, **more):
        """A text completion line by line."""
        with self.tally.call("text_completion", case, streamed=True) as call:
            for part in self.client.generate(model=self.model, prompt=f"x [[{marker}]]", stream=True, **more):
                if read_generate(call, part):
                    call.chunk()

    def embed(self, case, model):
        """Two texts into two vectors. Nothing is generated: the generated tokens stay unknown."""
        with self.tally.call("embeddings", case, streamed=False) as call:
            call.usage(self.client.embed(model=model, input=["hello", "world"]).prompt_eval_count, None)


def messages(marker):
    """A conversation that ends in the marker."""
    return [{"role": "user", "content": f"Hello there [[{marker}]]"}]


def read_chat(call, part):
    """Adds a chat answer, or one line of it, to the call; true if it carried content."""
    message = part.message
    call.text += message.content or ""
    call.thinking += message.thinking or ""
    call.tool_calls += len(message.tool_calls or [])
    read_end(call, part)
    return bool(message.content or message.thinking or message.tool_calls)


def read_generate(call, part):
    """Adds a text completion, or one line of it, to the call; true if it carried content."""
    call.text += part.response or ""
    call.thinking += part.thinking or ""
    read_end(call, part)
    return bool(part.response or part.thinking)


def read_end(call, part):
    """Takes over what the closing line reports; the lines before it report nothing."""
    if part.done:
        call.usage(part.prompt_eval_count, part.eval_count)
        call.finish_reason = part.done_reason


def cases(driver, embedding_model):
    """The calls by name, in the order in which they are made."""
    made = {
        "chat_whole": lambda case: driver.chat_whole(case, "plain"),
        "chat_stream": lambda case: driver.chat_stream(case, "plain"),
        "chat_length": lambda case: driver.chat_stream(case, "clock", options={"num_predict": 7}),
        "think_whole": lambda case: driver.chat_whole(case, "think", think=True),
        "think_stream": lambda case: driver.chat_stream(case, "think", think=True),
        "tool_whole": lambda case: driver.chat_whole(case, "tool", tools=[WEATHER]),
        "tool_stream": lambda case: driver.chat_stream(case, "tool", tools=[WEATHER]),
        "emoji_stream": lambda case: driver.chat_stream(case, "emoji"),
        "silent_stream": lambda case: driver.chat_stream(case, "silent"),
        "generate_whole": lambda case: driver.generate_whole(case, "plain"),
        "generate_stream": lambda case: driver.generate_stream(case, "plain"),
        "generate_think": lambda case: driver.generate_stream(case, "think", think=True),
        "chat_cancelled": lambda case: driver.chat_stream(case, "clock", leave=True),
    }
    if embedding_model:
        made["embed"] = lambda case: driver.embed(case, embedding_model)
    return made


def main():
    """Makes the calls and prints the tally."""
    parser = argparse.ArgumentParser(description="The official Ollama client, counting for itself.")
    parser.add_argument("base_url")
    parser.add_argument("--model", default="script")
    parser.add_argument("--embedding-model", default="embedder", metavar="NAME")
    parser.add_argument("--only", nargs="+", metavar="CASE", help="make these calls alone")
    chosen = parser.parse_args()

    driver = Driver(chosen.base_url, chosen.model)
    made = cases(driver, chosen.embedding_model)
    for case in chosen.only or made:
        made[case](case)
    driver.tally.print()


if __name__ == "__main__":
    main()
