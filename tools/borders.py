"""The contract of import-linter that apps import only what other apps offer: no models, no handlers, nothing inside."""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


def crossings(graph: ImportGraph, package: str, public: set[str], libraries: set[str]) -> list[tuple[str, str, int]]:
    """Return importer, imported module and line of each import of another app's module that is not public.

    Modules of `package` are `package.app.part...`; the first part under the app decides. `libraries` are open to all.
    """
    found = []
    for importer in sorted(graph.find_descendants(package)):
        for imported in sorted(graph.find_modules_directly_imported_by(importer)):
            top, *app_and_part = imported.split(".")
            app, part = [*app_and_part, "", ""][:2]
            if top != package or not app or app == importer.split(".")[1] or app in libraries or part in public:
                continue
            lines = graph.get_import_details(importer=importer, imported=imported)
            found.append((importer, imported, lines[0]["line_number"] if lines else 0))
    return found


class PublicPartsContract(Contract):
    """Options: `package` that holds the apps, `public` parts of an app, `libraries` that are public as a whole."""

    package = fields.StringField()
    public = fields.SetField(subfield=fields.StringField())
    libraries = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at every import between apps."""
        found = crossings(graph, self.package, set(self.public), set(self.libraries))  # type: ignore[arg-type, call-overload]
        return ContractCheck(kept=not found, metadata={"crossings": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print a line for each import."""
        crossed: list[tuple[str, str, int]] = check.metadata["crossings"]
        for importer, imported, line in crossed:
            output.print_error(f"{importer} imports {imported} (l.{line}), which is no public part of its app.")
