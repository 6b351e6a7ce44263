"""What a client counts of its own calls: instants by its own stopwatch, tokens as the client library reports them.

Nothing here reads a proxy's figures: the tally is the other half of a comparison. `None` means unknown, never zero.
"""

import json
import sys
import time


class Call:
    """One call, from just before the request leaves until the last event is read."""

    def __init__(self, operation, case, streamed):
        self.operation = operation
        self.case = case
        self.streamed = streamed
        self.outcome = "completed"
        self.prompt_tokens = None
        self.generated_tokens = None
        # Events that carried text, thinking or a part of a tool call. None for a whole answer.
        self.content_chunks = 0 if streamed else None
        self.finish_reason = None
        self.text = ""
        self.thinking = ""
        self.tool_calls = 0
        self._started = time.perf_counter()
        self._first = None
        self._last = None
        self._ended = None

    def chunk(self):
        """An event with content has arrived."""
        self._last = time.perf_counter()
        self._first = self._first or self._last
        self.content_chunks += 1

    def usage(self, prompt, generated):
        """The counts that the server reported, as the client library hands them out."""
        self.prompt_tokens, self.generated_tokens = prompt, generated

    def add_usage(self, prompt, generated, own_prompt=False):
        """The counts of one choice of several. They share a prompt unless each has its own."""
        before = (self.prompt_tokens or 0) if own_prompt else 0
        self.usage(before + prompt, (self.generated_tokens or 0) + generated)

    def end(self):
        """The answer has been read, or given up."""
        self._ended = time.perf_counter()

    def since_start(self, instant):
        """Seconds from the start of the call to `instant`."""
        return None if instant is None else instant - self._started

    def report(self):
        """The call as one JSON object."""
        return {
            "operation": self.operation,
            "case": self.case,
            "streamed": self.streamed,
            "outcome": self.outcome,
            "prompt_tokens": self.prompt_tokens,
            "generated_tokens": self.generated_tokens,
            "content_chunks": self.content_chunks,
            "ttft_seconds": self.since_start(self._first),
            "last_chunk_seconds": self.since_start(self._last),
            "total_seconds": self.since_start(self._ended),
            "finish_reason": self.finish_reason,
            "text": self.text,
            "thinking": self.thinking,
            "tool_calls": self.tool_calls,
        }


class Tally:
    """The calls of one run, in order."""

    def __init__(self, client):
        self.client = client
        self.calls = []
        self._open = None

    def call(self, operation, case, streamed):
        """Starts the stopwatch of one call; use it in a `with` statement."""
        self._open = Call(operation, case, streamed)
        self.calls.append(self._open)
        return self

    def __enter__(self):
        return self._open

    def __exit__(self, *_):
        self._open.end()

    def sums(self):
        """Totals over the calls. Calls whose tokens are unknown are counted apart, and add nothing."""
        generating = [call for call in self.calls if call.operation != "embeddings"]
        known = [call for call in generating if call.generated_tokens is not None]
        return {
            "calls": len(self.calls),
            "completed": sum(call.outcome == "completed" for call in self.calls),
            "cancelled": sum(call.outcome == "cancelled" for call in self.calls),
            "prompt_tokens": sum(call.prompt_tokens or 0 for call in self.calls),
            "generated_tokens": sum(call.generated_tokens for call in known),
            "calls_of_unknown_tokens": len(generating) - len(known),
            "content_chunks": sum(call.content_chunks or 0 for call in self.calls),
            "with_ttft": sum(call._first is not None for call in self.calls),
        }

    def print(self):
        """Writes the run to standard output as one JSON object."""
        json.dump({"client": self.client, "calls": [call.report() for call in self.calls], "sums": self.sums()},
                  sys.stdout)
        print()


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string"}},
            "required": ["city"],
        },
    },
}
"""The one tool that the scripted model calls."""

CANCEL_AFTER = 5
"""Content chunks that a client reads before it leaves."""
