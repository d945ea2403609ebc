import ast

from governance import env
from tests.architecture import tree


def test_the_table_of_variables_in_the_docs_is_the_one_in_the_code() -> None:
    committed = (tree.ROOT / "docs/reference/environment.md").read_text(encoding="utf-8")
    assert committed == env.reference(), "run: python -m governance.env"


def test_products_read_the_environment_in_one_place() -> None:
    elsewhere = [
        f"{name}:{node.lineno}"
        for name, module, _ in tree.modules(*tree.PRODUCTS)
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in {"os.environ", "os.getenv"}
        and name != "governance/env.py"
    ]
    # Django and Celery are told where the settings are, and nothing else. The command line runs on other machines,
    # without the product: its variables are in docs/operate/scripts.md.
    excepted = {
        "governance/asgi.py",
        "governance/edge_host.py",
        "governance/wsgi.py",
        "governance/celery.py",
        "governance/cli/access.py",
    }
    assert [place for place in elsewhere if place.partition(":")[0] not in excepted] == []
