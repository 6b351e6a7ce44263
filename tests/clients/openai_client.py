#!/usr/bin/env python3
"""Drives the official OpenAI client against a base URL and prints what the client itself counted.

One call after the other: chat, completions, responses and embeddings, whole and streamed, with and without usage,
thinking, a tool call, several choices and several prompts, and streams that the client leaves. The prompts carry the
scripted model's markers.

Usage: openai_client.py BASE_URL [--model NAME] [--embedding-model NAME] [--only CASE ...]
BASE_URL has no path: `http://127.0.0.1:11435`. `--embedding-model ''` leaves embeddings out.
"""

import argparse

import openai

from tally import CANCEL_AFTER, WEATHER, Tally

RESPONSES_WEATHER = {"type": "function", "strict": False, **WEATHER["function"]}
"""The tool as responses want it."""


class Driver:
    """The client, the model's name and the tally of its calls."""

    def __init__(self, base_url, model):
        # A retry would be a second request behind the tally's back.
        self.client = openai.OpenAI(base_url=f"{base_url.rstrip('/')}/v1", api_key="none", max_retries=0, timeout=30)
        self.tally = Tally(f"openai {openai.__version__}")
        self.model = model

    def chat_whole(self, case, marker, **more):
        """A chat answered in one piece."""
        with self.tally.call("chat", case, streamed=False) as call:
            answer = self.client.chat.completions.create(model=self.model, messages=messages(marker), **more)
            choice = answer.choices[0]
            call.text = choice.message.content or ""
            call.thinking = thinking(choice.message) or ""
            call.tool_calls = len(choice.message.tool_calls or [])
            call.finish_reason = choice.finish_reason
            read_usage(call, answer.usage)

    def chat_stream(self, case, marker, with_usage=False, leave=False, **more):
        """A chat answered event by event; `leave` hangs up in the middle."""
        if with_usage:
            more["stream_options"] = {"include_usage": True}
        with self.tally.call("chat", case, streamed=True) as call:
            with self.client.chat.completions.create(
                model=self.model, messages=messages(marker), stream=True, **more
            ) as stream:
                for event in stream:
                    read_chat_event(call, event, several="n" in more)
                    if leave and call.content_chunks >= CANCEL_AFTER:
                        call.outcome = "cancelled"
                        break

    def completion_whole(self, case, marker):
        """A text completion in one piece."""
        with self.tally.call("text_completion", case, streamed=False) as call:
            answer = self.client.completions.create(model=self.model, prompt=f"x [[{marker}]]")
            call.text = answer.choices[0].text
            call.finish_reason = answer.choices[0].finish_reason
            read_usage(call, answer.usage)

    def completion_stream(self, case, *markers, with_usage=False, **more):
        """A text completion event by event; several markers are several prompts."""
        if with_usage:
            more["stream_options"] = {"include_usage": True}
        prompts = [f"x [[{marker}]]" for marker in markers]
        prompt, several = (prompts, True) if len(prompts) > 1 else (prompts[0], False)
        with self.tally.call("text_completion", case, streamed=True) as call:
            stream = self.client.completions.create(model=self.model, prompt=prompt, stream=True, **more)
            # llama.cpp begins each prompt of a list with a null.
            for event in filter(None, stream):
                for choice in event.choices:
                    if choice.text:
                        call.chunk()
                        call.text += choice.text
                    call.finish_reason = choice.finish_reason or call.finish_reason
                read_usage(call, event.usage, several or "n" in more, own_prompt=several)

    def response_whole(self, case, marker, **more):
        """A response in one piece."""
        with self.tally.call("chat", case, streamed=False) as call:
            read_response(call, self.client.responses.create(model=self.model, input=f"x [[{marker}]]", **more))

    def response_stream(self, case, marker, leave=False, **more):
        """A response event by event; `leave` hangs up in the middle."""
        with self.tally.call("chat", case, streamed=True) as call:
            with self.client.responses.create(
                model=self.model, input=f"x [[{marker}]]", stream=True, **more
            ) as stream:
                for event in stream:
                    if event.type.endswith(".delta") and event.delta:
                        call.chunk()
                    if event.type == "response.completed":
                        read_response(call, event.response)
                    if leave and call.content_chunks >= CANCEL_AFTER:
                        call.outcome = "cancelled"
                        break

    def embeddings(self, case, model):
        """Two texts into two vectors. Nothing is generated: the generated tokens stay unknown."""
        with self.tally.call("embeddings", case, streamed=False) as call:
            # Floats, because not every server knows the client's default of base64.
            answer = self.client.embeddings.create(model=model, input=["hello", "world"], encoding_format="float")
            call.usage(answer.usage.prompt_tokens, None)


def messages(marker):
    """A conversation that ends in the marker."""
    return [{"role": "user", "content": f"Hello there [[{marker}]]"}]


def thinking(part):
    """The thinking in a message or a delta, under either of the names that servers use; None without any."""
    return getattr(part, "reasoning_content", None) or getattr(part, "reasoning", None)


def read_usage(call, usage, several=False, own_prompt=False):
    """Takes over usage where there is some: most events of a stream have none. Of several choices each has one."""
    if usage is not None and several:
        call.add_usage(usage.prompt_tokens, usage.completion_tokens, own_prompt)
    elif usage is not None:
        call.usage(usage.prompt_tokens, usage.completion_tokens)


def read_response(call, response):
    """Takes over a response that is over."""
    call.text = response.output_text
    call.tool_calls = sum(item.type == "function_call" for item in response.output)
    thoughts = [part.text for item in response.output if item.type == "reasoning" for part in item.content or []]
    call.thinking = "".join(thoughts)
    call.finish_reason = response.status
    call.usage(response.usage.input_tokens, response.usage.output_tokens)


def read_chat_event(call, event, several=False):
    """Adds one event of a chat stream to the call."""
    for choice in event.choices:
        delta, thought = choice.delta, thinking(choice.delta)
        if delta.content or thought or delta.tool_calls:
            call.chunk()
        call.text += delta.content or ""
        call.thinking += thought or ""
        # A call's first part has a name, those that follow carry arguments alone.
        call.tool_calls += sum(bool(part.function and part.function.name) for part in delta.tool_calls or [])
        call.finish_reason = choice.finish_reason or call.finish_reason
    read_usage(call, event.usage, several)


def cases(driver, embedding_model):
    """The calls by name, in the order in which they are made."""
    made = {
        "chat_whole": lambda case: driver.chat_whole(case, "plain"),
        "chat_stream": lambda case: driver.chat_stream(case, "plain"),
        "chat_stream_usage": lambda case: driver.chat_stream(case, "plain", with_usage=True),
        "chat_length": lambda case: driver.chat_stream(case, "clock", with_usage=True, max_tokens=7),
        "think_whole": lambda case: driver.chat_whole(case, "think"),
        "think_stream": lambda case: driver.chat_stream(case, "think", with_usage=True),
        "tool_whole": lambda case: driver.chat_whole(case, "tool", tools=[WEATHER]),
        "tool_stream": lambda case: driver.chat_stream(case, "tool", with_usage=True, tools=[WEATHER]),
        "emoji_stream": lambda case: driver.chat_stream(case, "emoji", with_usage=True),
        "silent_stream": lambda case: driver.chat_stream(case, "silent", with_usage=True),
        "completion_whole": lambda case: driver.completion_whole(case, "plain"),
        "completion_stream": lambda case: driver.completion_stream(case, "plain"),
        "completion_stream_usage": lambda case: driver.completion_stream(case, "plain", with_usage=True),
        "completion_choices": lambda case: driver.completion_stream(case, "plain", with_usage=True, n=2),
        # More prompts than the server answers at a time: the last begins when another has ended.
        "completion_list": lambda case: driver.completion_stream(case, "plain", "think", "emoji", with_usage=True),
        "chat_choices": lambda case: driver.chat_stream(case, "plain", with_usage=True, n=2),
        "chat_cancelled": lambda case: driver.chat_stream(case, "clock", leave=True),
        "response_whole": lambda case: driver.response_whole(case, "plain"),
        "response_stream": lambda case: driver.response_stream(case, "plain"),
        "response_think_whole": lambda case: driver.response_whole(case, "think"),
        "response_think_stream": lambda case: driver.response_stream(case, "think"),
        "response_tool_whole": lambda case: driver.response_whole(case, "tool", tools=[RESPONSES_WEATHER]),
        "response_tool_stream": lambda case: driver.response_stream(case, "tool", tools=[RESPONSES_WEATHER]),
        "response_emoji_stream": lambda case: driver.response_stream(case, "emoji"),
        "response_silent_stream": lambda case: driver.response_stream(case, "silent"),
        "response_cancelled": lambda case: driver.response_stream(case, "clock", leave=True),
    }
    if embedding_model:
        made["embeddings"] = lambda case: driver.embeddings(case, embedding_model)
    return made


def main():
    """Makes the calls and prints the tally."""
    parser = argparse.ArgumentParser(description="The official OpenAI client, counting for itself.")
    parser.add_argument("base_url")
    parser.add_argument("--model", default="script")
    parser.add_argument("--embedding-model", default="script", metavar="NAME")
    parser.add_argument("--only", nargs="+", metavar="CASE", help="make these calls alone")
    chosen = parser.parse_args()

    driver = Driver(chosen.base_url, chosen.model)
    made = cases(driver, chosen.embedding_model)
    for case in chosen.only or made:
        made[case](case)
    driver.tally.print()


if __name__ == "__main__":
    main()
