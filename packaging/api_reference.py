"""usage: api_reference.py OPENAPI.json — prints one HTML page that shows every call and type of the document.

The page asks for nothing from elsewhere: no script, no font, no picture.
"""
import html
import json
import sys

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: light-dark(#0a6b3d, #6fd39f); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1, h2, h3 { line-height: 1.2; } h2 { border-bottom: 1px solid var(--line); margin-top: 2.5rem; }
code { font: 13px/1.4 ui-monospace, monospace; } a { color: var(--accent); }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top;
  padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .4rem 0; padding: .4rem .7rem; }
details[open] > summary { margin-bottom: .5rem; } summary { cursor: pointer; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600; color: var(--accent); }
nav { columns: 12rem; background: var(--soft); padding: .75rem 1rem; border-radius: 6px; }
nav a { display: block; } .note { color: GrayText; }
"""
METHODS = ("get", "post", "put", "patch", "delete")


def text(value):
    return html.escape(str(value))


def type_of(schema):
    """A type in words, as HTML."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f'<a href="#type-{text(name)}">{text(name)}</a>'
    for key in ("oneOf", "anyOf", "allOf"):
        if key in schema:
            return " or ".join(type_of(each) for each in schema[key])
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(type_of({**schema, "type": each}) for each in kind)
    if kind == "array":
        return "list of " + type_of(schema.get("items", {}))
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return "map to " + type_of(schema["additionalProperties"])
    if "enum" in schema:
        return " | ".join(f"<code>{text(each)}</code>" for each in schema["enum"])
    if "format" in schema:
        return f"{text(kind)} ({text(schema['format'])})"
    return text(kind)


def limits(schema):
    parts = []
    words = (("default", "default"), ("minimum", "at least"), ("maximum", "at most"), ("minLength", "length from"),
             ("maxLength", "length to"), ("maxItems", "items to"), ("pattern", "pattern"))
    for key, word in words:
        if key in schema:
            parts.append(f"{word} <code>{text(json.dumps(schema[key], ensure_ascii=False))}</code>")
    if schema.get("readOnly"):
        parts.append("read only")
    return ", ".join(parts)


def rows(header, lines):
    if not lines:
        return ""
    head = "".join(f"<th>{each}</th>" for each in header)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>\n" for line in lines)
    return f"<table><tr>{head}</tr>\n{body}</table>\n"


def content_type(content):
    return ", ".join(f"<code>{text(mime)}</code> {type_of(each.get('schema', {}))}" for mime, each in content.items())


def call(method, path, operation):
    out = [f'<details id="{text(operation["operationId"])}"><summary><span class="method">{method.upper()}</span> '
           f"<code>{text(path)}</code> {text(operation.get('summary', ''))}</summary>\n"]
    if operation.get("description"):
        out.append(f"<p>{text(operation['description'])}</p>\n")
    out.append(rows(("Parameter", "In", "Type", "What"), [
        (f"<code>{text(each['name'])}</code>" + (" (required)" if each.get("required") else ""), text(each["in"]),
         type_of(each.get("schema", {})), text(each.get("description", "")))
        for each in operation.get("parameters", [])]))
    if "requestBody" in operation:
        out.append(f"<p>Body: {content_type(operation['requestBody'].get('content', {}))}</p>\n")
    out.append(rows(("Answer", "What", "Body"), [
        (text(code), text(each.get("description", "")), content_type(each.get("content", {})))
        for code, each in operation.get("responses", {}).items()]))
    out.append("</details>\n")
    return "".join(out)


def schema_section(name, schema):
    required = set(schema.get("required", []))
    fields = rows(("Field", "Type", "What", "Limits"), [
        (f"<code>{text(field)}</code>" + (" (required)" if field in required else ""), type_of(each),
         text(each.get("description", "")), limits(each))
        for field, each in schema.get("properties", {}).items()])
    kind = "" if "properties" in schema else f"<p>{type_of(schema)} {limits(schema)}</p>\n"
    return (f'<h3 id="type-{text(name)}">{text(name)}</h3>\n<p>{text(schema.get("description", ""))}</p>\n'
            f"{kind}{fields}")


def page(document):
    info = document["info"]
    groups = {}
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                tag = (operations[method].get("tags") or ["other"])[0]
                groups.setdefault(tag, []).append(call(method, path, operations[method]))
    schemas = document.get("components", {}).get("schemas", {})
    title = f"{text(info['title'])} API {text(info['version'])}"
    out = [f'<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n'
           f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
           f"<style>{STYLE}</style>\n<h1>{title}</h1>\n<p>{text(info.get('description', ''))}</p>\n"
           '<p>Made from <a href="openapi.json">openapi.json</a>, which a running manager also answers on '
           "<code>GET /api/v1/openapi.json</code>. Every call needs <code>Authorization: Bearer TOKEN</code> unless it "
           "says otherwise; tokens come from <code>POST /api/v1/login</code> or <code>chorok token create</code>.</p>\n"
           '<p class="note">This is a reference. The graphical console is not part of this version.</p>\n<nav>']
    out += [f'<a href="#tag-{text(tag)}">{text(tag)} ({len(calls)})</a>\n' for tag, calls in groups.items()]
    out.append(f'<a href="#types">types ({len(schemas)})</a></nav>\n')
    for tag, calls in groups.items():
        out.append(f'<h2 id="tag-{text(tag)}">{text(tag)}</h2>\n' + "".join(calls))
    out.append('<h2 id="types">Types</h2>\n')
    out += [schema_section(name, schemas[name]) for name in sorted(schemas)]
    out.append("</html>\n")
    return "".join(out)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        sys.stdout.reconfigure(encoding="utf-8")
        sys.stdout.write(page(json.load(file)))
