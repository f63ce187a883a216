"""The optional AI writer: a language model may word the headline and the key points; the rules stand by.

Nothing here is imported unless ``WRITER__BASE_URL`` is set. In the order in which a text goes through it:

- `brief`: the facts a model is given, in the words of one language, each with where it comes from;
- `prompt`: the messages;
- `purse`: whether the day's allowance bears another answer;
- `client`: asks the endpoint, reads the stream within its bounds;
- `judge`: strikes every sentence that is not borne out by those facts;
- `author`: all of these in a row. Whatever goes wrong, it says so and the rules' text stands.
"""

from evertick.reports.writer.author import Author, open_author
from evertick.reports.writer.client import Client

__all__ = ["Author", "Client", "open_author"]
