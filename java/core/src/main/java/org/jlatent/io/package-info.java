/** Files: tensors in the safetensors format, pictures, and writing either whole or not at all. */
package org.jlatent.io;
