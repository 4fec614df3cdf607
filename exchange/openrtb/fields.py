"""Which fields does OpenRTB 2.6 know, and of what kind? One row for each object, with the section it stands in.

Kinds: `text`, `whole` (32 bits), `number`, `flag` (0 or 1; true and false are tolerated), `ext` (anything), or the name
of another object; `*` marks an array. What is not listed is tolerated and passed on (2.6 §2.3).
`tests/tidy/test_openrtb_proto.py` holds this table and protos/openrtb.proto together.
"""

from __future__ import annotations

from typing import Final, NamedTuple

# fmt: off
OBJECTS: Final[dict[str, tuple[str, str]]] = {
    "BidRequest": (
        "3.2.1",
        "id:text imp:Imp* site:Site app:App dooh:Dooh device:Device user:User test:flag at:whole tmax:whole "
        "wseat:text* bseat:text* allimps:flag cur:text* wlang:text* wlangb:text* acat:text* bcat:text* "
        "cattax:whole badv:text* bapp:text* source:Source regs:Regs ext:ext",
    ),
    "Source": (
        "3.2.2",
        "fd:flag tid:text pchain:text schain:SupplyChain ext:ext",
    ),
    "SupplyChain": (
        "3.2.25",
        "complete:flag nodes:SupplyChainNode* ver:text ext:ext",
    ),
    "SupplyChainNode": (
        "3.2.26",
        "asi:text sid:text rid:text name:text domain:text hp:flag ext:ext",
    ),
    "Imp": (
        "3.2.4",
        "id:text metric:Metric* banner:Banner video:Video audio:Audio native:Native pmp:Pmp "
        "displaymanager:text displaymanagerver:text instl:flag tagid:text bidfloor:number bidfloorcur:text "
        "clickbrowser:flag secure:flag iframebuster:text* rwdd:flag ssai:whole exp:whole qty:Qty dt:number "
        "refresh:Refresh ext:ext",
    ),
    "Metric": (
        "3.2.5",
        "type:text value:number vendor:text ext:ext",
    ),
    "Banner": (
        "3.2.6",
        "format:Format* w:whole h:whole btype:whole* battr:whole* pos:whole mimes:text* topframe:flag "
        "expdir:whole* api:whole* id:text vcm:flag wmax:whole hmax:whole wmin:whole hmin:whole ext:ext",
    ),
    "Format": (
        "3.2.10",
        "w:whole h:whole wratio:whole hratio:whole wmin:whole ext:ext",
    ),
    "Video": (
        "3.2.7",
        "mimes:text* minduration:whole maxduration:whole startdelay:whole maxseq:whole poddur:whole "
        "protocols:whole* w:whole h:whole podid:text podseq:whole rqddurs:whole* placement:whole plcmt:whole "
        "linearity:whole skip:flag skipmin:whole skipafter:whole sequence:whole slotinpod:whole "
        "mincpmpersec:number battr:whole* maxextended:whole minbitrate:whole maxbitrate:whole "
        "boxingallowed:flag playbackmethod:whole* playbackend:whole delivery:whole* pos:whole "
        "companionad:Banner* api:whole* companiontype:whole* poddedupe:whole* durfloors:DurFloors* "
        "protocol:whole ext:ext",
    ),
    "Audio": (
        "3.2.8",
        "mimes:text* minduration:whole maxduration:whole poddur:whole protocols:whole* startdelay:whole "
        "rqddurs:whole* podid:text podseq:whole sequence:whole slotinpod:whole mincpmpersec:number "
        "battr:whole* maxextended:whole minbitrate:whole maxbitrate:whole delivery:whole* companionad:Banner* "
        "api:whole* companiontype:whole* maxseq:whole feed:whole stitched:flag nvol:whole "
        "durfloors:DurFloors* ext:ext",
    ),
    "Native": (
        "Native 3.2.9",
        "request:text ver:text api:whole* battr:whole* ext:ext",
    ),
    "Qty": (
        "3.2.31",
        "multiplier:number sourcetype:whole vendor:text ext:ext",
    ),
    "Refresh": (
        "3.2.33",
        "refsettings:RefSettings* count:whole ext:ext",
    ),
    "RefSettings": (
        "3.2.34",
        "reftype:whole minint:whole ext:ext",
    ),
    "Pmp": (
        "3.2.11",
        "private_auction:flag deals:Deal* ext:ext",
    ),
    "Deal": (
        "3.2.12",
        "id:text bidfloor:number bidfloorcur:text at:whole wseat:text* wadomain:text* guar:whole "
        "mincpmpersec:number durfloors:DurFloors* ext:ext",
    ),
    "Site": (
        "3.2.13",
        "id:text name:text domain:text cattax:whole cat:text* sectioncat:text* pagecat:text* page:text "
        "ref:text search:text mobile:flag privacypolicy:flag publisher:Publisher content:Content "
        "keywords:text kwarray:text* inventorypartnerdomain:text ext:ext",
    ),
    "App": (
        "3.2.14",
        "id:text name:text bundle:text domain:text storeurl:text cattax:whole cat:text* sectioncat:text* "
        "pagecat:text* ver:text privacypolicy:flag paid:flag publisher:Publisher content:Content "
        "keywords:text kwarray:text* inventorypartnerdomain:text ext:ext",
    ),
    "Dooh": (
        "3.2.32",
        "id:text name:text venuetype:text* venuetypetax:whole publisher:Publisher domain:text keywords:text "
        "content:Content ext:ext",
    ),
    "Publisher": (
        "3.2.15",
        "id:text name:text cattax:whole cat:text* domain:text ext:ext",
    ),
    "Content": (
        "3.2.16",
        "id:text episode:whole title:text series:text season:text artist:text genre:text gtax:whole "
        "genres:text* album:text isrc:text producer:Producer url:text cattax:whole cat:text* prodq:whole "
        "context:whole contentrating:text userrating:text qagmediarating:whole keywords:text kwarray:text* "
        "livestream:flag sourcerelationship:flag len:whole language:text langb:text embeddable:flag "
        "data:Data* network:Network channel:Channel videoquality:whole ext:ext",
    ),
    "Producer": (
        "3.2.17",
        "id:text name:text cattax:whole cat:text* domain:text ext:ext",
    ),
    "Network": (
        "3.2.23",
        "id:text name:text domain:text ext:ext",
    ),
    "Channel": (
        "3.2.24",
        "id:text name:text domain:text ext:ext",
    ),
    "Device": (
        "3.2.18",
        "geo:Geo dnt:flag lmt:flag ua:text sua:UserAgent ip:text ipv6:text devicetype:whole make:text "
        "model:text os:text osv:text hwv:text w:whole h:whole ppi:whole pxratio:number js:flag geofetch:flag "
        "flashver:text language:text langb:text carrier:text mccmnc:text connectiontype:whole ifa:text "
        "didsha1:text didmd5:text dpidsha1:text dpidmd5:text macsha1:text macmd5:text ext:ext",
    ),
    "Geo": (
        "3.2.19",
        "lat:number lon:number type:whole accuracy:whole lastfix:whole ipservice:whole country:text "
        "region:text regionfips104:text metro:text city:text zip:text utcoffset:whole ext:ext",
    ),
    "UserAgent": (
        "3.2.29",
        "browsers:BrandVersion* platform:BrandVersion mobile:flag architecture:text bitness:text model:text "
        "source:whole ext:ext",
    ),
    "BrandVersion": (
        "3.2.30",
        "brand:text version:text* ext:ext",
    ),
    "User": (
        "3.2.20",
        "id:text buyeruid:text yob:whole gender:text keywords:text kwarray:text* customdata:text geo:Geo "
        "data:Data* consent:text eids:EID* ext:ext",
    ),
    "EID": (
        "3.2.27",
        "inserter:text source:text matcher:text mm:whole uids:EID.UID* ext:ext",
    ),
    "EID.UID": (
        "3.2.28",
        "id:text atype:whole ext:ext",
    ),
    "Data": (
        "3.2.21",
        "id:text name:text segment:Segment* ext:ext",
    ),
    "Segment": (
        "3.2.22",
        "id:text name:text value:text ext:ext",
    ),
    "Regs": (
        "3.2.3",
        "coppa:flag gdpr:flag us_privacy:text gpp:text gpp_sid:whole* ext:ext",
    ),
    "DurFloors": (
        "3.2.35",
        "mindur:whole maxdur:whole bidfloor:number ext:ext",
    ),
    "BidResponse": (
        "4.2.1",
        "id:text seatbid:SeatBid* bidid:text cur:text customdata:text nbr:whole ext:ext",
    ),
    "SeatBid": (
        "4.2.2",
        "bid:Bid* seat:text group:flag ext:ext",
    ),
    "Bid": (
        "4.2.3",
        "id:text impid:text price:number nurl:text burl:text lurl:text adm:text adid:text adomain:text* "
        "bundle:text iurl:text cid:text crid:text tactic:text cattax:whole cat:text* attr:whole* apis:whole* "
        "api:whole protocol:whole qagmediarating:whole language:text langb:text dealid:text w:whole h:whole "
        "wratio:whole hratio:whole exp:whole dur:whole mtype:whole slotinpod:whole ext:ext",
    ),
    "NativeRequest": (
        "Native 4.1",
        "ver:text layout:whole adunit:whole context:whole contextsubtype:whole plcmttype:whole plcmtcnt:whole "
        "seq:whole assets:NativeRequest.Asset* aurlsupport:flag durlsupport:flag "
        "eventtrackers:NativeRequest.EventTrackers* privacy:flag ext:ext",
    ),
    "NativeRequest.Asset": (
        "Native 4.2",
        "id:whole required:flag title:NativeRequest.Title img:NativeRequest.Image video:Video "
        "data:NativeRequest.Data ext:ext",
    ),
    "NativeRequest.Title": (
        "Native 4.3",
        "len:whole ext:ext",
    ),
    "NativeRequest.Image": (
        "Native 4.4",
        "type:whole w:whole h:whole wmin:whole hmin:whole mimes:text* ext:ext",
    ),
    "NativeRequest.Data": (
        "Native 4.6",
        "type:whole len:whole ext:ext",
    ),
    "NativeRequest.EventTrackers": (
        "Native 4.7",
        "event:whole methods:whole* ext:ext",
    ),
}
# fmt: on


class Kind(NamedTuple):
    """What a field holds: `of` is text, whole, number, flag, ext or the name of an object."""

    of: str
    many: bool


def _kinds(text: str) -> dict[str, Kind]:
    pairs = (word.split(":") for word in text.split())
    return {name: Kind(kind.rstrip("*"), kind.endswith("*")) for name, kind in pairs}


FIELDS: Final = {name: _kinds(text) for name, (_, text) in OBJECTS.items()}
SECTIONS: Final = {name: section for name, (section, _) in OBJECTS.items()}
