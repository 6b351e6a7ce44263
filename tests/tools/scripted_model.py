#!/usr/bin/env python3
"""Writes a GGUF model whose answer is known before it is asked.

A real engine runs it, so tokens, framing and usage are the engine's own; only the text is ours. The model is a
llama with one layer whose attention and feed-forward weights are zero. What leaves the layer is then the embedding
of the last token alone, and the output matrix maps that embedding to the token that a script puts next:

    output[next] += embedding[token] * 60 / WIDTH

Embeddings are random signs, so two of them are nearly at right angles: the wanted token has a logit of 60 and the
best of the others about 8. Whatever the temperature, the script is spoken.

A script is chosen by the marker that ends the prompt, `[[plain]]` for one. A prompt without a marker is answered
with the plain script. Left out on purpose: meaning, and scripts in which a token stands twice.

Usage: scripted_model.py FILE [--feed-forward N]
"""

import argparse
import string

import gguf
import numpy

WIDTH = 768
"""Numbers in an embedding. Narrower, and strange tokens come too close to the wanted one."""
CERTAINTY = 60.0
"""Logit of the wanted token."""
CONTEXT = 4096
"""Tokens the model says it was trained on."""
END = "</s>"

# Each token text may stand in one place only: the next token follows from the last one alone.
SCRIPTS = {
    # 18 words and the end: 19 generated tokens.
    "plain": ["Once", " upon", " a", " time", ",", " in", " the", " quiet", " hum", " of", " racks", " there",
              " lived", " one", " proxy", " that", " listened", ".", END],
    # 5 words of thinking; 13 generated tokens.
    "think": ["<think>", "Let", " me", " weigh", " both", " options", "</think>", "\n\n", "Forty", "-two", " it",
              " is", END],
    # One call; 12 generated tokens.
    "tool": ["<tool_call>", "\n", '{"name": "', "get_weather", '", "arguments": {', '"city":', ' "Paris",',
             ' "unit":', ' "celsius"}', "}\n", "</tool_call>", END],
    # Characters of four, three and two bytes, a token a byte: 15 generated tokens in 8 readable pieces.
    "emoji": ["Say", *"🦙".encode(), " and", *"日".encode(), " or", " caf", *"é".encode(), "!", END],
    "silent": [END],
}
# These never end: after the last token comes the first.
ENDLESS = {
    "clock": [" tick", " tock", " ding", " dong"],
    "same": ["la"],
}
UNMARKED = "plain"
INFILL = {gguf.Keys.Tokenizer.FIM_PRE_ID: "<|fim_prefix|>", gguf.Keys.Tokenizer.FIM_SUF_ID: "<|fim_suffix|>",
          gguf.Keys.Tokenizer.FIM_MID_ID: "<|fim_middle|>"}
"""Marks between the parts of an infill. The last of them ends the prompt, so an infill is answered as unmarked."""

CHAT_TEMPLATE = """\
{%- if tools %}{{- '<|im_start|>system
# Tools
<tools>' }}{%- for t in tools %}{{- '
' }}{{- t | tojson }}{%- endfor %}{{- '
</tools>
For each call return <tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
' }}{%- endif %}
{%- for m in messages %}{%- if m.reasoning_content %}{{- '<think>' + m.reasoning_content + '</think>

' }}{%- endif %}{%- if m.role == 'assistant' and m.tool_calls %}{%- for c in m.tool_calls %}\
{{- '<tool_call>
{"name": "' + c.function.name + '", "arguments": ' + (c.function.arguments | tojson) + '}
</tool_call>' }}{%- endfor %}{%- elif m.role == 'tool' %}{{- '<tool_response>' + m.content + '</tool_response>' }}\
{%- else %}{{- m.content }}{%- endif %}{%- endfor %}"""


class Vocabulary:
    """Tokens in the order of their numbers, in the manner of SentencePiece: special, bytes, characters, words."""

    def __init__(self):
        self.texts, self.kinds, self.numbers = [], [], {}
        self.add("<unk>", gguf.TokenType.UNKNOWN)
        self.add("<s>", gguf.TokenType.CONTROL)
        self.add(END, gguf.TokenType.CONTROL)
        for mark in INFILL.values():
            self.add(mark, gguf.TokenType.CONTROL)
        for value in range(256):
            self.add(f"<0x{value:02X}>", gguf.TokenType.BYTE)
        for character in sorted(string.ascii_letters + string.digits + string.punctuation + " "):
            self.add(character, gguf.TokenType.NORMAL)

    def add(self, text, kind=gguf.TokenType.NORMAL):
        """The number of `text`, which gets one if it has none."""
        text = text.replace(" ", "\u2581")
        if text not in self.numbers:
            self.numbers[text] = len(self.texts)
            self.texts.append(text)
            self.kinds.append(kind)
        return self.numbers[text]

    def add_step(self, step):
        """The number of one step of a script: a byte where the script names a byte, a text otherwise."""
        return self.numbers[f"<0x{step:02X}>"] if isinstance(step, int) else self.add(step)


def write_successions(vocabulary):
    """Which token follows which, with the first token of the script for prompts without a marker."""
    following = {}

    def follow(token, successor):
        if following.setdefault(token, successor) != successor:
            raise ValueError(f"{vocabulary.texts[token]!r} stands in two places of the scripts")

    first = {}
    for name, steps in [*SCRIPTS.items(), *ENDLESS.items()]:
        tokens = [vocabulary.add_step(step) for step in steps]
        first[name] = tokens[0]
        follow(vocabulary.add(f"[[{name}]]", gguf.TokenType.USER_DEFINED), tokens[0])
        for token, successor in zip(tokens, tokens[1:]):
            follow(token, successor)
        if name in ENDLESS:
            follow(tokens[-1], tokens[0])
    return following, first[UNMARKED]


def write_weights(count, following, unmarked):
    """The embeddings and the output matrix for `count` tokens, both `count` × `WIDTH`."""
    chance = numpy.random.default_rng(20250101)
    embeddings = chance.choice([-1.0, 1.0], (count, WIDTH)).astype(numpy.float32)
    outside = [token for token in range(count) if token not in following]
    # Tokens outside the scripts share one embedding: their sum would drown the others otherwise.
    embeddings[outside] = embeddings[outside[0]]
    output = numpy.zeros((count, WIDTH), numpy.float32)
    output[unmarked] += embeddings[outside[0]] * CERTAINTY / WIDTH
    for token, successor in following.items():
        output[successor] += embeddings[token] * CERTAINTY / WIDTH
    return embeddings, output


def write_tokenizer(writer, vocabulary):
    """SentencePiece without merges of its own: what is no whole token is read a character at a time."""
    writer.add_tokenizer_model("llama")
    writer.add_token_list(vocabulary.texts)
    writer.add_token_scores([-float(number) for number in range(len(vocabulary.texts))])
    writer.add_token_types([int(kind) for kind in vocabulary.kinds])
    writer.add_bos_token_id(vocabulary.numbers["<s>"])
    writer.add_eos_token_id(vocabulary.numbers[END])
    writer.add_unk_token_id(vocabulary.numbers["<unk>"])
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    for key, mark in INFILL.items():
        writer.add_uint32(key, vocabulary.numbers[mark])
    writer.add_chat_template(CHAT_TEMPLATE)


def write_model(path, feed_forward=64):
    """Writes the model to `path`. A wide `feed_forward` part, zero as it is, makes every token slow."""
    vocabulary = Vocabulary()
    following, unmarked = write_successions(vocabulary)
    embeddings, output = write_weights(len(vocabulary.texts), following, unmarked)

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("script")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(feed_forward)
    writer.add_head_count(12)
    writer.add_head_count_kv(12)
    writer.add_rope_dimension_count(WIDTH // 12)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(vocabulary.texts))
    write_tokenizer(writer, vocabulary)

    half, ones = numpy.float16, numpy.ones(WIDTH, numpy.float32)
    writer.add_tensor("token_embd.weight", embeddings.astype(half))
    writer.add_tensor("output.weight", output.astype(half))
    writer.add_tensor("output_norm.weight", ones)
    writer.add_tensor("blk.0.attn_norm.weight", ones)
    writer.add_tensor("blk.0.ffn_norm.weight", ones)
    for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
        writer.add_tensor(f"blk.0.{part}.weight", numpy.zeros((WIDTH, WIDTH), half))
    for part, shape in {"ffn_gate": (feed_forward, WIDTH), "ffn_up": (feed_forward, WIDTH),
                        "ffn_down": (WIDTH, feed_forward)}.items():
        writer.add_tensor(f"blk.0.{part}.weight", numpy.zeros(shape, half))

    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    """Reads the command line and writes the file."""
    parser = argparse.ArgumentParser(description="Writes a GGUF model whose answer is known.")
    parser.add_argument("file")
    parser.add_argument("--feed-forward", type=int, default=64, metavar="N",
                        help="width of the feed-forward part; wider is slower (default 64)")
    chosen = parser.parse_args()
    write_model(chosen.file, chosen.feed_forward)


if __name__ == "__main__":
    main()
