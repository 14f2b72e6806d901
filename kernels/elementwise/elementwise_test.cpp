#include "case_table.h"
