"""Names of ``consist.core.directory_artifacts``."""

from consist_es.api.stand_ins import stand_in

build_directory_manifest = stand_in("consist.core.directory_artifacts.build_directory_manifest")
materialize_directory_tree = stand_in("consist.core.directory_artifacts.materialize_directory_tree")
validate_directory_manifest = stand_in("consist.core.directory_artifacts.validate_directory_manifest")
validate_directory_tree = stand_in("consist.core.directory_artifacts.validate_directory_tree")
