"""What a language says a thing with, as far as `judge` must know: directions, and what a report does not say.

A language without a lexicon has no AI writer, whatever its catalogue: nobody could tell advice in it from a report.
The patterns are matched against lower-case text without the names of instruments. They would rather strike a good sentence than pass a bad one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_VIETNAMESE = "ăắằẳẵặâấầẩẫậđêếềểễệôốồổỗộơớờởỡợưứừửữựạảãàáẹẻẽèéịỉĩìíọỏõòóụủũùúỵỷỹỳý"
_ONLY_VIETNAMESE = "ăắằẳẵặấầẩẫậđếềểễệốồổỗộơớờởỡợưứừửữựạảẹẻẽịỉĩọỏụủũỵỷỹ"


def _any(words: str) -> re.Pattern[str]:
    """Any of the words and phrases, one to a ``|``; parts of words do not count."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(w.strip() for w in words.split('|'))})(?!\w)")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Lexicon:
    moves: re.Pattern[str]
    """Words for a move; group ``down`` is set when it is one down."""
    common: frozenset[str]
    """Words without a subject of their own: they do not show that two sentences speak of the same."""
    refused: tuple[tuple[str, re.Pattern[str]], ...]
    """What a sentence may not hold, by the reason that is given."""
    periods: re.Pattern[str]
    letters: str
    """Those beyond ASCII that its words are written with."""
    telling: str = ""
    """Those of them that say which language it is; ``""``: `common` does."""

    def way(self, match: re.Match[str]) -> int:
        return -1 if match["down"] else 1

    def is_in(self, words: list[str]) -> bool:
        """Whether these lower-case words are of the language, by what few of them it could not do without."""
        if not words:
            return False
        if self.telling:
            marked = sum(any(c in self.letters for c in word) for word in words)
            sure = any(c in self.telling or (word in self.common and not c.isascii()) for word in words for c in word)
            return sure and marked >= 0.3 * len(words)
        foreign = sum(not word.isascii() for word in words)
        return not foreign and sum(word in self.common for word in words) >= 0.15 * len(words)


_EN = Lexicon(
    moves=re.compile(
        r"(?<!\w)(?:(?P<down>g[ai]ve?(?:s|n|ing)? up|fall(?:s|en|ing)?|fell|los(?:e|es|t|ing|s|ses)|drop(?:s|ped|ping)?"
        r"|sli(?:de|des|d|ding)|s[aiu]nk(?:s|ing)?|declin(?:e|es|ed|ing)|down|lower|retreat(?:s|ed|ing)?|shed(?:s|ding)?"
        r"|slip(?:s|ped|ping)?|tumbl(?:e|es|ed|ing)|plung(?:e|es|ed|ing)|weaken(?:s|ed|ing)?|eas(?:e|es|ed|ing)"
        r"|decreas(?:e|es|ed|ing)|dip(?:s|ped|ping)?|weaker|softer|lows|low side)"
        r"|ris(?:e|es|en|ing)|rose|gain(?:s|ed|ing)?|add(?:s|ed|ing)?|climb(?:s|ed|ing)?|jump(?:s|ed|ing)?|surg(?:e|es|ed|ing)"
        r"|advanc(?:e|es|ed|ing)|up|higher|rall(?:y|ies|ied|ying)|increas(?:e|es|ed|ing)|rebound(?:s|ed|ing)?"
        r"|strengthen(?:s|ed|ing)?|firmer|stronger|highs)(?!\w)"
    ),
    common=_words(
        "the a an of to in on at by and or but with while as for from is are was were it its they their has have had than "
        "after before against over under above below up down not no only most more less all this that up down rises rise rose "
        "gains gain gained adds falls fall fell loses lost lose drops higher lower stands stand at near both each other "
        "points percent today session day"
    ),
    refused=(
        ("advises", _any(
            r"buy|buying|sell(?!-off)|hold|accumulate|overweight|underweight|outperform|should|ought to|must|recommend\w*|advis\w+"
            r"|consider\w*|worth (?:a|the|buying)|target price|price target|stop[- ]loss|take profits?|bargain\w*"
            r"|opportunit\w+|avoid\w*|investors? (?:can|may|might|need)"
        )),
        ("foretells", _any(
            r"will|would|could|likely|expected to|set to|poised|forecast\w*|predict\w*|outlook|going to|may (?:rise|fall|gain)"
        )),
        ("gives a reason", _any(
            r"because|due to|amid|driven by|thanks to|owing to|on (?:hopes?|fears?|news|concerns?|worries)|as (?:investors?|traders?)"
            r"|following|boosted by|weighed (?:on )?by|reflect\w*|caused"
        )),
        ("counts in words", _any(
            r"two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|hundreds?|thousands?|millions?|billions?|trillions?"
            r"|half|halv\w+|thirds?|quarters? of|doubl\w+|tripl\w+|twice|twofold|threefold|tenfold"
        )),
    ),
    periods=_any(r"weekly|weeks?|monthly|months?|quarterly|quarters?|yearly|annual|years?|yesterday|tomorrow|decades?|record"),
    letters="",
)  # fmt: skip

_VI = Lexicon(
    moves=re.compile(
        r"(?<!\w)(?:(?P<down>giảm|mất|lùi|rơi|sụt|xuống|hạ|tụt|trượt|bốc hơi|lao dốc|suy yếu|đi lùi|thấp hơn|yếu đi|rớt|thoái lui|đáy)"
        r"|tăng|lên|cộng thêm|nhích|leo|bật|khởi sắc|hồi phục|phục hồi|thêm|cao hơn|mạnh lên|bứt phá|đỉnh)(?!\w)"
    ),
    common=_words(
        "và của ở tại với trong khi còn so là có các những đã đang không chỉ cả mức về từ đến ra vào theo cùng tăng giảm lên xuống "
        "mất thêm cộng đi lùi nhích hiện đạt phiên ngày hôm nay sau trước hơn nhất này đó số được cho"
    ),
    refused=(
        ("advises", _any(
            r"nên|hãy|khuyến nghị|khuyến cáo|mua vào|bán ra|nhà đầu tư (?:có thể|cần|phải)|chốt lời|cắt lỗ|giải ngân|gom|tích lũy|tích luỹ"
            r"|cơ hội|giá mục tiêu|đáng mua|nắm giữ|cân nhắc|thận trọng|lưu ý|tránh|mua|bán"
        )),
        ("foretells", _any(r"sẽ|dự báo|dự đoán|dự kiến|kỳ vọng|có khả năng|có thể|triển vọng|sắp")),
        ("gives a reason", _any(
            r"vì|bởi|do|nhờ|trước (?:lo ngại|áp lực|sức ép|tin)|sau (?:khi có tin|tin|quyết định)|nguyên nhân|phản ánh|khiến|thúc đẩy|lo ngại"
        )),
        ("counts in words", _any(
            r"gấp đôi|gấp ba|gấp (?:nhiều|hai)|một nửa|phân nửa|hàng (?:chục|trăm|nghìn|ngàn|triệu|tỷ)|(?:hai|ba|bốn|năm|sáu|bảy|tám|chín|mười|chục)"
            r" (?:phiên|ngày|tuần|tháng|chỉ số|thị trường|phần|lần|điểm|cổ phiếu|mã|đồng|trăm|nghìn|ngàn|triệu|tỷ|trên)"
        )),
    ),
    periods=_any(r"tuần|tháng|quý|năm|hôm qua|ngày mai|thập kỷ|kỷ lục|lịch sử"),
    letters=_VIETNAMESE,
    telling=_ONLY_VIETNAMESE,
)  # fmt: skip

LEXICONS = {"en": _EN, "vi": _VI}


def lexicon(language: str) -> Lexicon | None:
    """That of a language, whatever its country; ``None`` where nobody wrote one."""
    return LEXICONS.get(language.split("-")[0])
