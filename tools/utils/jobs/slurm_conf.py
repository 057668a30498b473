"""conf/slurm.conf: how a site wants its jobs submitted, in the manner of Kaldi's slurm.conf."""

import shlex

NUMBERS = {"poll": 3.0, "grace": 15.0}


class SiteConf:
    """The file's three statements, and two numbers.

    ``command WORDS`` the sbatch command; ``option NAME=VALUE WORDS`` what --NAME VALUE becomes
    (VALUE ``*`` is any other value, written ``$0`` in the words; no words: nothing);
    ``default NAME=VALUE`` an option that holds unless given; ``poll SECONDS``; ``grace SECONDS``.
    """

    def __init__(self, path):
        self.path = path
        self.command = ["sbatch"]
        self.options, self.defaults, self.numbers = {}, {}, dict(NUMBERS)
        try:
            with open(path, encoding="utf-8") as stream:
                lines = list(enumerate(stream, 1))
        except OSError as error:
            raise ValueError(
                f"{path} cannot be read ({error.strerror}). Name the site's defaults with --conf."
            ) from None
        for number, line in lines:
            try:
                words = shlex.split(line, comments=True)
                if words:
                    self.statement(words[0], words[1:])
            except (ValueError, IndexError):
                raise ValueError(
                    f"{path}:{number} is not understood: {line.strip()}. Lines are: command WORDS, "
                    "option NAME=VALUE WORDS, default NAME=VALUE, poll SECONDS, grace SECONDS."
                ) from None

    def statement(self, keyword, words):
        """One line of the file; raises when it is none of the statements."""
        if keyword == "command" and words:
            self.command = words
        elif keyword in self.numbers:
            self.numbers[keyword] = float(words[0])
        else:
            name, equals, value = words[0].partition("=")
            if not name or not equals or keyword not in ("option", "default"):
                raise ValueError
            if keyword == "option":
                self.options.setdefault(name, {})[value] = words[1:]
            else:
                self.defaults[name] = value

    def submit_command(self, given):
        """The sbatch command for the options ``given`` (name -> value).

        Raises:
            ValueError: an option or value that the file has no line for.
        """
        command = list(self.command)
        for name, value in {**self.defaults, **given}.items():
            table = self.options.get(name, {})
            words = table.get(value, table.get("*"))
            if words is None:
                raise ValueError(
                    f"{self.path} has no line for --{name} {value}. Add one, for example: "
                    f"option {name}=* --{name.replace('_', '-')}=$0"
                )
            command += [word.replace("$0", value) for word in words]
        return command
