"""Models have the names that the vocabulary gives; their tables keep theirs, so nothing changes in the database."""

from typing import ClassVar

from django.db import migrations


class Migration(migrations.Migration):
    """Rename models in the state alone."""

    dependencies: ClassVar = [("entitlements", "0001_squashed"), ("governance", "0001_squashed")]
    operations: ClassVar = [migrations.SeparateDatabaseAndState(state_operations=[
        migrations.AlterModelTable(name="catalogueimport", table="entitlements_catalogueimport"),
        migrations.RenameModel(old_name="CatalogueImport", new_name="CatalogImport"),
        migrations.AlterModelTable(name="rolemapping", table="entitlements_rolemapping"),
        migrations.RenameModel(old_name="RoleMapping", new_name="GroupMapping"),
        migrations.AlterModelTable(name="seenagent", table="entitlements_seenagent"),
        migrations.RenameModel(old_name="SeenAgent", new_name="UnmanagedAgent"),
        migrations.AlterModelTable(name="hold", table="entitlements_hold"),
        migrations.RenameModel(old_name="Hold", new_name="HeldCall"),
        migrations.AlterModelTable(name="kindrule", table="entitlements_kindrule"),
        migrations.RenameModel(old_name="KindRule", new_name="AgentTypeRule"),
    ])]
