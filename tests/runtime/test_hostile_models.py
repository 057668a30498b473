"""A model from a stranger is refused by name before onnxruntime, or anything else, loads it."""

import hashlib
import json
import os
import shutil
import stat
import zipfile

import onnx
import pytest

from asr_dro_plugin.errors import UserError
from asr_dro_plugin.runtime import Recogniser, session
from asr_dro_plugin.runtime.manifest import MANIFEST

GRAPH = "model.onnx"


class Folder:
    """A copy of an exported folder, to be spoiled; what it declares is made true again."""

    def __init__(self, folder):
        self.folder = folder

    @property
    def facts(self):
        return json.loads((self.folder / MANIFEST).read_text("utf-8"))

    def say(self, **facts):
        """Change the manifest alone."""
        (self.folder / MANIFEST).write_text(json.dumps(self.facts | facts), "utf-8")

    def declare(self, name):
        """Let the manifest say size and checksum of a member as it is."""
        content = (self.folder / name).read_bytes()
        entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        self.say(members=self.facts["members"] | {name: entry})

    def write(self, content):
        """Another graph, declared as it is."""
        (self.folder / GRAPH).write_bytes(content)
        self.declare(GRAPH)

    def edit(self, change):
        """Change the graph as onnx knows it."""
        model = onnx.load(self.folder / GRAPH)
        change(model)
        self.write(model.SerializeToString())

    def pack(self, names=None, change=None):
        """The folder's zip; ``change`` spoils each member's entry."""
        out = self.folder.with_suffix(".zip")
        with zipfile.ZipFile(out, "w") as archive:
            for path in sorted(self.folder.rglob("*")):
                info = zipfile.ZipInfo((names or {}).get(path.name, path.name))
                if change:
                    change(info)
                archive.writestr(info, path.read_bytes())
        return out


@pytest.fixture
def folder(exported, tmp_path):
    out = tmp_path / "model"
    shutil.copytree(exported, out)
    return Folder(out)


def refused(path, fact, monkeypatch):
    def load(*_):
        raise AssertionError("onnxruntime was given the file")

    monkeypatch.setattr(session, "open_session", load)
    with pytest.raises(UserError, match=fact) as error:
        Recogniser(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


# --- what the manifest says ---

SAYS = {
    "another format": ({"format": "asr-dro model"}, "describes no model exported to ONNX"),
    "a newer schema": ({"schema": 2}, "has schema 2, and this asr-dro reads schema 1"),
    "a schema that is no number": ({"schema": "1"}, "has schema '1'"),
    "an unknown key": ({"_target_": "os.system"}, "unknown key '_target_'"),
    "tokens that are a text": ({"tokens": "abc"}, "another kind for 'tokens'"),
    "no tokens": ({"tokens": []}, "tokens that are no texts"),
    "a number as token": ({"tokens": ["a", 1]}, "tokens that are no texts"),
    "a token twice": ({"tokens": ["a", "a"]}, "a token twice"),
    "fewer tokens": ({"tokens": ["<blank>", "a"]}, "the same of 'tokens'"),
    "a blank beyond": ({"blank_id": 99}, "blank_id 99"),
    "a blank that is true": ({"blank_id": True}, "another kind for 'blank_id'"),
    "an unknown token_type": ({"token_type": "x" * 99}, "unknown token_type 'xxx"),
    "another rate": ({"sample_rate": 8000}, "sample_rate 8000"),
    "frames of no length": ({"frame_shift": 0.0}, "frames of 0 s"),
    "frames that contradict": ({"frame_shift_samples": 1}, "and of 1 samples"),
    "no shortest": ({"min_samples": 0}, "shortest or a longest"),
    "a longest below zero": ({"longest": -1.0}, "shortest or a longest"),
    "an opset of years to come": ({"opset": 10**30}, "has the opset 1000"),
    "other inputs": ({"inputs": {"speech": "x", "lengths": "y"}}, "other inputs than"),
    "a language that is a list": ({"languages": [["eng"]]}, "languages that are no texts"),
    "no default": ({"default_precision": "fp16"}, "default precision that it does not have"),
    "a graph that is no member": (
        {"precisions": {"fp32": {"file": "other.onnx", "members": []}}}, "names 'other.onnx'"
    ),
    "a graph outside": (
        {"precisions": {"fp32": {"file": "../x.onnx", "members": []}}}, "names '../x.onnx'"
    ),
    "a precision of a number": ({"precisions": {"fp32": 3}}, "precision without a file"),
    "members of a number": (
        {"precisions": {"fp32": {"file": GRAPH, "members": 3}}}, "precision without members"
    ),
    "language models nowhere": ({"lm_dir": "/etc"}, "language models in '/etc'"),
    "a size that is a text": ({"members": {GRAPH: {"bytes": "1", "sha256": "0" * 64}}}, "no size"),
    "a checksum that is none": ({"members": {GRAPH: {"bytes": 1, "sha256": "x"}}}, "no size"),
    "another decoder": ({"decode": {"mode": "greedy", "beam_size": 3}}, "beam_size"),
    "a decoder with code": ({"decode": {"mode": "!!python/object"}}, "mode"),
}  # fmt: skip


@pytest.mark.parametrize("facts, fact", SAYS.values(), ids=SAYS)
def test_a_manifest_that_says_what_cannot_be(folder, monkeypatch, facts, fact):
    folder.say(**facts)
    refused(folder.folder, fact, monkeypatch)


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a\\b", "a//b", "./a", MANIFEST, "a/"])
def test_members_that_lead_out_of_the_folder(folder, monkeypatch, name):
    entry = folder.facts["members"][GRAPH]
    folder.say(members=folder.facts["members"] | {name: entry})
    refused(folder.folder, "has a member", monkeypatch)


@pytest.mark.parametrize(
    "content, fact",
    [
        (b"", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b'{"format": NaN}', "is no JSON"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "is no JSON"),
        (b"[1, 2]", "describes no model"),
        (b" " * (2**26 + 1), "too long for a manifest"),
    ],
    ids=["empty", "no text", "deep", "NaN", "long number", "a list", "endless"],
)
def test_a_manifest_that_is_none(folder, monkeypatch, content, fact):
    (folder.folder / MANIFEST).write_bytes(content)
    refused(folder.folder, fact, monkeypatch)


def test_a_manifest_without_a_key(folder, monkeypatch):
    facts = folder.facts
    del facts["frame_shift"]
    (folder.folder / MANIFEST).write_text(json.dumps(facts))
    refused(folder.folder, "lacks 'frame_shift'", monkeypatch)


# --- members ---


def swap(folder):
    with open(folder / GRAPH, "r+b") as stream:
        stream.seek(4000)
        stream.write(b"x")


MEMBERS = {
    "missing": (lambda f: (f / GRAPH).unlink(), "lacks the file model.onnx"),
    "altered": (swap, "model.onnx is not the file"),
    "cut off": (lambda f: os.truncate(f / GRAPH, 5000), "model.onnx is not the file"),
    "longer": (lambda f: os.truncate(f / GRAPH, 10**8), "model.onnx is not the file"),
    "another's tokens": (lambda f: (f / "tokens.txt").write_text("a 0\n"), "tokens.txt is not"),
    "a folder": (lambda f: [(f / GRAPH).unlink(), (f / GRAPH).mkdir()], "lacks the file"),
    "a pipe": (lambda f: [(f / GRAPH).unlink(), os.mkfifo(f / GRAPH)], "lacks the file"),
    "a link": (
        lambda f: [(f / GRAPH).rename(f / "x"), (f / GRAPH).symlink_to(f / "x")], "is a link"
    ),
}  # fmt: skip


@pytest.mark.parametrize("spoil, fact", MEMBERS.values(), ids=MEMBERS)
def test_a_member_that_is_not_what_was_exported(folder, monkeypatch, spoil, fact):
    spoil(folder.folder)
    refused(folder.folder, fact, monkeypatch)


# --- the graph, in folders that declare it as it is ---


def external(location, offset=None, length=None):
    def change(model):
        tensor = next(t for t in model.graph.initializer if t.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in {"location": location, "offset": offset, "length": length}.items():
            if value is not None:
                tensor.external_data.add(key=key, value=value)

    return change


def in_an_attribute(model):
    node = onnx.helper.make_node("Constant", [], ["stolen"])
    tensor = onnx.TensorProto(name="t", data_type=1, dims=[1], data_location=1)
    tensor.external_data.add(key="location", value="/etc/passwd")
    node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)
    model.graph.node.append(node)


def in_a_function(model):
    inner = onnx.helper.make_node("Run", [], ["y"], domain="evil")
    model.functions.append(
        onnx.helper.make_function("evil", "F", [], ["y"], [inner], [onnx.OperatorSetIdProto()])
    )


def nested(model):
    graph = onnx.GraphProto(name="g")
    for _ in range(25):
        outer = onnx.GraphProto(name="g")
        outer.node.add(op_type="If").attribute.add(name="a", type=5).g.CopyFrom(graph)
        graph = outer
    model.graph.node.extend(graph.node)


def sparse(model):
    model.graph.sparse_initializer.add().dims.append(2**40)


def bomb(model):
    model.graph.initializer.add(name="b", data_type=1, dims=[2**30, 2**30], raw_data=b"1234")


def no_weights(model):
    model.graph.initializer.add(name="b", data_type=1, dims=[2**40])


def negative(model):
    model.graph.initializer.add(name="b", data_type=1, dims=[-1], raw_data=b"1234")


def texts(model):
    model.graph.initializer.add(name="b", data_type=8, dims=[2**40], string_data=[b"a"])


def reads_files(model):
    model.graph.node.add(op_type="EPContext", domain="com.microsoft", output=["y"])


def other_operators(model):
    model.graph.node.add(op_type="Shell", domain="ai.evil", output=["y"])


def without(part):
    return lambda model: getattr(model.graph, part).pop(0)


def other_metadata(key, value):
    def change(model):
        found = {each.key: each.value for each in model.metadata_props} | {key: value}
        onnx.helper.set_model_props(model, found)

    return change


def renumber(model):
    model.opset_import[0].version = 3


def wide(model):
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 9999


def integers(model):
    model.graph.input[0].type.tensor_type.elem_type = 7


GRAPHS = {
    "weights at an absolute place": (external("/etc/passwd"), "wants weights from '/etc/passwd'"),
    "weights above": (external("../../secret"), "wants weights from '../../secret'"),
    "weights beside, no member": (external("weights.bin"), "wants weights from 'weights.bin'"),
    "weights of the wrong member": (external("README.md"), "wants weights from 'README.md'"),
    "weights of nowhere": (external(""), "wants weights from ''"),
    "weights without a place": (external(None, "0"), "declare more than they hold"),
    "weights at no number": (external("x", "-1"), "where by no number"),
    "weights behind the end": (external(GRAPH, "9" * 18), "behind the end"),
    "weights in an attribute": (in_an_attribute, "wants weights from '/etc/passwd'"),
    "an operator in a function": (in_a_function, "the operator 'evil:Run'"),
    "graphs in graphs": (nested, "deeper than any model"),
    "sparse weights": (sparse, "sparse weights"),
    "a bomb of a size": (bomb, "declare more than they hold"),
    "a size without weights": (no_weights, "declare more than they hold"),
    "a size below zero": (negative, "declare more than they hold"),
    "a size of texts": (texts, "declare more than they hold"),
    "an operator that reads files": (reads_files, "operator 'com.microsoft:EPContext'"),
    "operators of a library": (other_operators, "operator 'ai.evil:Shell'"),
    "no input": (without("input"), "has no 'input_values'"),
    "no output": (without("output"), "has no 'log_probs'"),
    "other tokens": (other_metadata("tokens", '["a"]'), "the same of 'tokens'"),
    "another blank": (other_metadata("blank_id", "3"), "the same of 'blank_id'"),
    "another schema": (other_metadata("schema", "9"), "the same of 'schema'"),
    "another opset": (renumber, "of another opset"),
    "more outputs than tokens": (wide, "gives 9999 log probabilities a frame"),
    "integers in": (integers, "has no 'input_values'"),
}  # fmt: skip


@pytest.mark.parametrize("change, fact", GRAPHS.values(), ids=GRAPHS)
def test_a_graph_that_is_none_of_ours(folder, monkeypatch, change, fact):
    folder.edit(change)
    refused(folder.folder, fact, monkeypatch)


@pytest.mark.parametrize(
    "content, fact",
    [
        (b"", "is an empty file"),
        (b"\x00" * 1000, "is damaged"),
        (b"PK\x03\x04" + b"x" * 1000, "is damaged"),
        (b"\x3a" + b"\xff" * 9 + b"\x01", "is damaged"),
        (b"\x3a\xff\xff\xff\xff\x7f", "is damaged"),
        (b"\x08" + b"\x80" * 100, "is damaged"),
        (b"\x0b" * 50, "is damaged"),
        (b"\x08\x08", "is no ONNX graph"),
        (b"\x72\x04\x0a\x02\xff\xff\x08\x08", "no UTF-8"),
        (b"\x38\x07", "is damaged"),
        (b"\x3a\x06\x0a\x04\x2a\x02\x30\x01", "is damaged"),
    ],
    ids=["empty", "zeros", "a zip", "endless length", "cut off", "endless number", "groups",
         "nothing in it", "no text", "a number for a graph", "a number for a subgraph"],
)  # fmt: skip
def test_a_file_that_is_no_graph(folder, monkeypatch, content, fact):
    folder.write(content)
    refused(folder.folder, fact, monkeypatch)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_graph_that_is_cut_off_where_its_folder_says_so_itself(folder, monkeypatch, share):
    content = (folder.folder / GRAPH).read_bytes()
    folder.write(content[: int(share * len(content))])
    refused(folder.folder, "is damaged|do not say the same|is no ONNX|opset", monkeypatch)


# --- zips ---


def as_link(info):
    info.external_attr = (stat.S_IFLNK | 0o777) << 16


def encrypted(info):
    info.flag_bits |= 1


@pytest.mark.parametrize(
    "names, change, fact",
    [
        ({GRAPH: "../model.onnx"}, None, "leads out of the folder"),
        ({GRAPH: "/model.onnx"}, None, "leads out of the folder"),
        ({GRAPH: "C:\\model.onnx"}, None, "has a backslash"),
        ({GRAPH: "other.onnx"}, None, "lacks the file model.onnx"),
        ({MANIFEST: "other.json"}, None, "holds no asr_dro_onnx.json"),
        ({GRAPH: f"x/{MANIFEST}"}, None, "holds several"),
        (None, as_link, "is no plain file or folder"),
    ],
    ids=["above", "absolute", "backslash", "missing", "no manifest", "two models", "links"],
)
def test_a_zip_that_is_no_model(folder, monkeypatch, names, change, fact):
    refused(folder.pack(names, change), fact, monkeypatch)


def test_a_zip_that_is_a_bomb(folder, monkeypatch):
    (folder.folder / "model.onnx").write_bytes(b"\0" * 2**25)
    folder.declare(GRAPH)
    out = folder.folder.with_suffix(".zip")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.folder.iterdir():
            archive.write(path, path.name)
    refused(out, "over 200 times its size", monkeypatch)


@pytest.mark.parametrize("at", [0, 40, 2000, -30])
def test_a_zip_that_is_damaged(folder, monkeypatch, at):
    out = folder.pack()
    content = bytearray(out.read_bytes())
    content[at] ^= 0xFF
    out.write_bytes(content)
    refused(out, "damaged|no whole zip|is not the file|lacks|holds no|over the limit|is no JSON",
            monkeypatch)  # fmt: skip


def test_a_place_where_nothing_is(tmp_path, monkeypatch):
    refused(tmp_path / "nothing", "does not exist", monkeypatch)
    refused(tmp_path, "holds no asr_dro_onnx.json", monkeypatch)


# --- what onnxruntime alone can say ---


def test_an_opset_that_the_runtime_lacks_is_named_before_the_graph_is_loaded(folder, monkeypatch):
    def later(model):
        model.opset_import[0].version = 999
        other_metadata("opset", "999")(model)

    folder.say(opset=999)
    folder.edit(later)
    given, real = [], session.open_session
    monkeypatch.setattr(session, "open_session", lambda g, *a: given.append(g) or real(g, *a))
    with pytest.raises(UserError, match="is of opset 999 .*, which onnxruntime .* does not know"):
        Recogniser(folder.folder)
    assert [len(graph) < 100 for graph in given] == [True]


def test_what_onnxruntime_refuses_is_one_line(folder):
    def change(model):
        model.graph.node[0].op_type = "NoSuchOperator"

    folder.edit(change)
    with pytest.raises(UserError, match="model.onnx cannot be loaded by onnxruntime") as error:
        Recogniser(folder.folder)
    assert "\n" not in str(error.value)
