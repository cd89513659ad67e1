int softtoken_sdf_absent;
